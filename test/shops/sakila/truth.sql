SELECT customer_id, CAST(SUM(amount) * 100 AS SIGNED), COUNT(*) FROM payment
WHERE DATE(payment_date) = '2026-11-22' GROUP BY customer_id ORDER BY customer_id
