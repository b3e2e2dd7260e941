CREATE TABLE stripe_charges (
  id VARCHAR(64) PRIMARY KEY, customer VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL, amount BIGINT NOT NULL,
  amount_refunded BIGINT NOT NULL, currency CHAR(3) NOT NULL, status VARCHAR(16) NOT NULL, created BIGINT NOT NULL);
INSERT INTO stripe_charges
  SELECT CONCAT('ch_', n), IF(n % 31 = 0, NULL, IF(n % 37 = 0, '', CONCAT(ELT(1 + n % 3, 'cus_', 'cus_N', 'cus_n'), CONV(n % 1201 * 7919, 10, 36)))),
    n % 9001, IF(n % 15 = 0, n % 300, 0), ELT(1 + n % 4, 'usd', 'eur', 'usd', 'jpy'),
    IF(n % 8 = 0, 'failed', 'succeeded'), 1795262400 + n * 13 FROM numbers;
