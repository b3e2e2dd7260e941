SELECT customer_id, CAST(ROUND(SUM(CAST(total_sales AS DECIMAL(20,2))) * 100) AS SIGNED), COUNT(*),
  CAST(SUM(CAST(shipping_total AS DECIMAL(20,2))) * 100 AS SIGNED), CAST(SUM(CAST(tax_total AS DECIMAL(20,2))) * 100 AS SIGNED)
FROM wp_wc_order_stats WHERE DATE(date_created) = '2026-11-22' AND customer_id <> 0 AND status NOT IN ('wc-cancelled')
GROUP BY customer_id ORDER BY customer_id
