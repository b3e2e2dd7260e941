CREATE TABLE spree_orders (
  id INT PRIMARY KEY AUTO_INCREMENT, number VARCHAR(32) NULL, state VARCHAR(32) NOT NULL, currency VARCHAR(5) NULL,
  email VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NULL, total DECIMAL(10,2) NOT NULL, completed_at DATETIME NULL);
CREATE TABLE spree_refunds (
  id INT PRIMARY KEY AUTO_INCREMENT, order_id INT NOT NULL, amount DECIMAL(10,2) NOT NULL, created_at DATETIME NOT NULL);
CREATE TABLE daybook_refunds (
  refund_id INT PRIMARY KEY, email VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NULL, currency VARCHAR(5) NULL,
  amount DECIMAL(10,2) NOT NULL, created_at DATETIME NOT NULL);
CREATE TRIGGER daybook_refunds_insert AFTER INSERT ON spree_refunds FOR EACH ROW
  INSERT INTO daybook_refunds SELECT NEW.id, o.email, o.currency, NEW.amount, NEW.created_at FROM spree_orders o
  WHERE o.id = NEW.order_id;
CREATE TRIGGER daybook_refunds_delete AFTER DELETE ON spree_refunds FOR EACH ROW
  DELETE FROM daybook_refunds WHERE refund_id = OLD.id;
INSERT INTO spree_orders (number, state, currency, email, total, completed_at)
  SELECT CONCAT('R', n), ELT(1 + n % 5, 'complete', 'complete', 'cart', 'returned', 'complete'), IF(n % 11 = 0, 'USD', 'EUR'),
    IF(n % 43 = 0, NULL, CONCAT(IF(n % 2 = 0, 'Buyer', 'bUYER'), n % 1009 * 104729 % 1000003, '@shop.example')), (n % 6007) / 100,
    IF(n % 5 = 2, NULL, TIMESTAMP'2026-11-21 12:00:00' + INTERVAL n * 13 SECOND) FROM numbers;
INSERT INTO spree_refunds (order_id, amount, created_at)
  SELECT id, total / 2, COALESCE(completed_at, '2026-11-22 03:00:00') + INTERVAL 7 HOUR FROM spree_orders WHERE id % 9 = 0;
