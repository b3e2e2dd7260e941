SELECT customer_id, CAST(SUM(total) * 100 AS SIGNED), COUNT(*) FROM oc_order
WHERE DATE(date_added) = '2026-11-22' AND order_status_id > 0 AND currency_code = 'USD' AND customer_id <> 0
GROUP BY customer_id ORDER BY customer_id
