SELECT LOWER(email) AS who, currency, CAST(SUM(cents) AS SIGNED), CAST(SUM(orders) AS SIGNED) FROM (
  SELECT email, currency, total * 100 AS cents, 1 AS orders FROM spree_orders
  WHERE state IN ('complete', 'returned') AND DATE(completed_at) = '2026-11-22'
  UNION ALL
  SELECT o.email, o.currency, r.amount * -100, 0 FROM spree_refunds r JOIN spree_orders o ON o.id = r.order_id
  WHERE DATE(r.created_at) = '2026-11-22') AS both_kinds
WHERE email IS NOT NULL GROUP BY who, currency ORDER BY who COLLATE utf8mb4_unicode_ci, currency
