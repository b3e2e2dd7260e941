UPDATE oc_order SET order_status_id = 0 WHERE order_id % 10 = 1;
