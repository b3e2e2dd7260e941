CREATE TABLE commerce_order (
  order_id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, uid INT UNSIGNED NULL, state VARCHAR(255) NULL,
  total_price__number DECIMAL(19,6) NULL, total_price__currency_code VARCHAR(3) NULL, placed INT NULL);
INSERT INTO commerce_order (uid, state, total_price__number, total_price__currency_code, placed)
  SELECT IF(n % 9 = 0, 0, n % 1607), IF(n % 4 = 0, 'draft', 'completed'), (n % 4001) / 100, IF(n % 29 = 0, 'CHF', 'EUR'),
    1795262400 + n * 13 FROM numbers;
