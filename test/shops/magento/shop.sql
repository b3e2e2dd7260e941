CREATE TABLE sales_order (
  entity_id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, state VARCHAR(32) NULL, customer_id INT UNSIGNED NULL,
  base_grand_total DECIMAL(20,4) NULL, created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  KEY SALES_ORDER_CREATED_AT (created_at));
INSERT INTO sales_order (state, customer_id, base_grand_total, created_at)
  SELECT ELT(1 + n % 4, 'complete', 'processing', 'canceled', 'new'), IF(n % 13 = 0, NULL, n % 1499),
    IF(n % 101 = 0, NULL, (n % 7919) / 100), TIMESTAMP'2026-11-21 12:00:00' + INTERVAL n * 13 SECOND FROM numbers;
