SELECT c.customer_id, CAST(ROUND(SUM(CAST(o.amount_total AS DECIMAL(20,2))) * 100) AS SIGNED), COUNT(*)
FROM `order` o JOIN order_customer c ON c.order_id = o.id
WHERE o.order_date_time >= '2026-11-22' AND o.order_date_time < '2026-11-23' AND o.state <> 'cancelled' AND c.customer_id IS NOT NULL
GROUP BY c.customer_id ORDER BY c.customer_id
