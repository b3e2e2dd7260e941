UPDATE `order` SET state = 'cancelled' WHERE order_number % 25 = 1;
