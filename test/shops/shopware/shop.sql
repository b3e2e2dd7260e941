CREATE TABLE `order` (
  id BINARY(16) PRIMARY KEY, order_number VARCHAR(64) NOT NULL, state VARCHAR(32) NOT NULL, amount_total DOUBLE NOT NULL,
  order_date_time DATETIME(3) NOT NULL);
CREATE TABLE order_customer (
  id BINARY(16) PRIMARY KEY, order_id BINARY(16) NOT NULL, customer_id BINARY(16) NULL, email VARCHAR(254) NOT NULL,
  KEY order_id (order_id));
CREATE TABLE daybook_orders (
  order_id BINARY(16) PRIMARY KEY, customer_id BINARY(16) NULL, state VARCHAR(32) NOT NULL, amount_total DOUBLE NOT NULL,
  order_date_time DATETIME(3) NOT NULL);
CREATE TRIGGER daybook_orders_insert AFTER INSERT ON order_customer FOR EACH ROW
  INSERT INTO daybook_orders SELECT o.id, NEW.customer_id, o.state, o.amount_total, o.order_date_time FROM `order` o
  WHERE o.id = NEW.order_id;
CREATE TRIGGER daybook_orders_update AFTER UPDATE ON `order` FOR EACH ROW
  UPDATE daybook_orders SET state = NEW.state, amount_total = NEW.amount_total, order_date_time = NEW.order_date_time
  WHERE order_id = NEW.id;
INSERT INTO `order` SELECT UNHEX(LPAD(HEX(n * 2654435761), 32, '0')), n, IF(n % 6 = 0, 'cancelled', 'open'), (n % 8887) / 100,
  TIMESTAMP'2026-11-21 12:00:00.250' + INTERVAL n * 13 SECOND FROM numbers;
INSERT INTO order_customer SELECT UNHEX(LPAD(HEX(n), 32, '0')), UNHEX(LPAD(HEX(n * 2654435761), 32, '0')),
  IF(n % 19 = 0, NULL, UNHEX(RPAD(LPAD(HEX(n % 1301 * 3266489917 % 4294967296), 8, '0'), 32, '07'))), 'a@shop.example' FROM numbers;
