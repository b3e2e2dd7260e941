CREATE TABLE wp_wc_order_stats (
  order_id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, parent_id BIGINT UNSIGNED NOT NULL DEFAULT 0,
  date_created DATETIME NOT NULL, total_sales DOUBLE NOT NULL, tax_total DOUBLE NOT NULL, shipping_total DOUBLE NOT NULL,
  status VARCHAR(20) NOT NULL, customer_id BIGINT UNSIGNED NOT NULL, KEY date_created (date_created));
INSERT INTO wp_wc_order_stats (parent_id, date_created, total_sales, tax_total, shipping_total, status, customer_id)
  SELECT IF(n % 20 = 0, n, 0), TIMESTAMP'2026-11-21 12:00:00' + INTERVAL n * 13 SECOND,
    IF(n % 20 = 0, -1, 1) * (n % 9109) / 100, (n % 1021) / 100, IF(n % 3 = 0, 4.9, 0),
    ELT(1 + n % 5, 'wc-completed', 'wc-processing', 'wc-cancelled', 'wc-refunded', 'wc-completed'), n % 1409 FROM numbers;
