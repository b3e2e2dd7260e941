UPDATE sales_order SET state = 'canceled' WHERE entity_id % 7 = 0;
