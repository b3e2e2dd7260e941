UPDATE wp_wc_order_stats SET tax_total = tax_total + 0.01 WHERE order_id % 30 = 0;
