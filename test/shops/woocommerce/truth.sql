SELECT customer_id, CAST(SUM(total_amount) * 100 AS SIGNED), COUNT(*) FROM wp_wc_orders
WHERE date_created_gmt >= '2026-11-22' AND date_created_gmt < '2026-11-23' AND customer_id <> 0
  AND status IN ('wc-processing', 'wc-completed') AND currency = 'EUR'
GROUP BY customer_id ORDER BY customer_id
