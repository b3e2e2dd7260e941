SELECT customer_id, SUM(total), COUNT(*) FROM sylius_order
WHERE checkout_completed_at BETWEEN '2026-11-22 00:00:00' AND '2026-11-22 23:59:59' AND customer_id IS NOT NULL
  AND (state = 'fulfilled' OR (state = 'new' AND payment_state = 'paid'))
GROUP BY customer_id ORDER BY customer_id
