UPDATE commerce_order SET state = 'completed' WHERE order_id % 8 = 1;
