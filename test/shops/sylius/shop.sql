CREATE TABLE sylius_order (
  id INT PRIMARY KEY AUTO_INCREMENT, customer_id INT NULL, state VARCHAR(255) NOT NULL, payment_state VARCHAR(255) NOT NULL,
  total INT NOT NULL, checkout_completed_at DATETIME NULL, KEY customer (customer_id));
INSERT INTO sylius_order (customer_id, state, payment_state, total, checkout_completed_at)
  SELECT IF(n % 23 = 0, NULL, n % 2503), ELT(1 + n % 4, 'cart', 'new', 'fulfilled', 'cancelled'),
    IF(n % 5 < 3, 'paid', 'awaiting_payment'), n % 8009 - 20,
    IF(n % 4 = 0 AND n % 3 = 0, NULL, TIMESTAMP'2026-11-21 12:00:00' + INTERVAL n * 13 SECOND) FROM numbers;
