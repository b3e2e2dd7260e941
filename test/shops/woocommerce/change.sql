UPDATE wp_wc_orders SET status = 'wc-completed' WHERE status = 'wc-pending' AND id % 3 = 0;
