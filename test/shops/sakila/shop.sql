CREATE TABLE payment (
  payment_id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, customer_id SMALLINT UNSIGNED NOT NULL,
  amount DECIMAL(5,2) NOT NULL, payment_date DATETIME NOT NULL, KEY idx_fk_customer_id (customer_id));
INSERT INTO payment (customer_id, amount, payment_date)
  SELECT n % 599, (n % 1199) / 100, TIMESTAMP'2026-11-21 12:00:00' + INTERVAL n * 13 SECOND FROM numbers;
