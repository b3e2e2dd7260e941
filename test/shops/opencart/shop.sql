CREATE TABLE oc_order (
  order_id INT PRIMARY KEY AUTO_INCREMENT, customer_id INT NOT NULL DEFAULT 0, total DECIMAL(15,4) NOT NULL DEFAULT 0,
  order_status_id INT NOT NULL DEFAULT 0, currency_code VARCHAR(3) NOT NULL, date_added DATETIME NOT NULL);
INSERT INTO oc_order (customer_id, total, order_status_id, currency_code, date_added)
  SELECT IF(n % 7 = 0, 0, n % 1201), (n % 5003) / 100, n % 4, IF(n % 19 = 0, 'EUR', 'USD'),
    TIMESTAMP'2026-11-21 12:00:00' + INTERVAL n * 13 SECOND FROM numbers;
