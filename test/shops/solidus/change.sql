DELETE FROM spree_refunds WHERE id % 3 = 0;
UPDATE spree_orders SET state = 'returned' WHERE id % 50 = 0 AND state = 'complete';
