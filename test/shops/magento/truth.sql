SELECT customer_id, CAST(SUM(COALESCE(base_grand_total, 0)) * 100 AS SIGNED), COUNT(*) FROM sales_order
WHERE created_at >= '2026-11-22' AND created_at < '2026-11-23' AND customer_id IS NOT NULL
  AND state IN ('processing', 'complete')
GROUP BY customer_id ORDER BY customer_id
