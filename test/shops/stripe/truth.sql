SELECT customer, currency, SUM(amount - amount_refunded), COUNT(*), SUM(amount_refunded) FROM stripe_charges
WHERE created >= 1795305600 AND created < 1795392000 AND status = 'succeeded' AND customer <> ''
GROUP BY customer, currency ORDER BY customer, currency COLLATE utf8mb4_bin
