CREATE TABLE ps_orders (
  id_order INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, id_customer INT UNSIGNED NOT NULL, valid TINYINT UNSIGNED NOT NULL,
  total_paid_tax_incl DECIMAL(20,6) NOT NULL, date_add DATETIME NOT NULL,
  KEY date_add (date_add));
INSERT INTO ps_orders (id_customer, valid, total_paid_tax_incl, date_add)
  SELECT 1 + n % 1777, IF(n % 3 = 0, 0, 1), (n % 6007) / 100, TIMESTAMP'2026-11-21 12:00:00' + INTERVAL n * 13 SECOND
  FROM numbers;
