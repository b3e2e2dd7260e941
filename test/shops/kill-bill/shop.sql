CREATE TABLE invoice_items (
  record_id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, id CHAR(36) NOT NULL, type VARCHAR(24) NOT NULL,
  account_id VARCHAR(36) NOT NULL, amount DECIMAL(15,9) NOT NULL, currency VARCHAR(3) NOT NULL, created_date DATETIME NOT NULL,
  KEY invoice_items_account (account_id)) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin;
ALTER TABLE invoice_items MODIFY account_id CHAR(36) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin NOT NULL;
INSERT INTO invoice_items (id, type, account_id, amount, currency, created_date)
  SELECT UUID(), ELT(1 + n % 6, 'RECURRING', 'USAGE', 'FIXED', 'ITEM_ADJ', 'CBA_ADJ', 'RECURRING'),
    LOWER(CONCAT(LPAD(HEX(n % 1103 * 3266489917 % 4294967296), 8, '0'), '-0000-4000-8000-', LPAD(HEX(n % 1103), 12, '0'))),
    IF(n % 6 = 3, -1, 1) * (n % 7001) / 100, IF(n % 13 = 0, 'USD', 'EUR'),
    TIMESTAMP'2026-11-21 12:00:00' + INTERVAL n * 13 SECOND FROM numbers;
