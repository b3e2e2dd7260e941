DELETE FROM payment WHERE payment_id % 50 = 0;
