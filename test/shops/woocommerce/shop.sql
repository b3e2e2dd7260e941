CREATE TABLE wp_wc_orders (
  id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, status VARCHAR(20) NULL, currency VARCHAR(10) NULL,
  type VARCHAR(20) NULL, tax_amount DECIMAL(26,8) NULL, total_amount DECIMAL(26,8) NULL, customer_id BIGINT UNSIGNED NULL,
  date_created_gmt DATETIME NULL, KEY status (status), KEY date_created (date_created_gmt), KEY customer (customer_id));
INSERT INTO wp_wc_orders (status, currency, type, total_amount, customer_id, date_created_gmt)
  SELECT ELT(1 + n % 5, 'wc-completed', 'wc-processing', 'wc-cancelled', 'wc-pending', 'wc-completed'),
    IF(n % 17 = 0, 'USD', 'EUR'), 'shop_order', (n % 9973) / 100 - 5, IF(n % 11 = 0, 0, n % 1999),
    TIMESTAMP'2026-11-21 12:00:00' + INTERVAL n * 13 SECOND FROM numbers;
