UPDATE ps_orders SET valid = 1 WHERE id_order % 9 = 1;
