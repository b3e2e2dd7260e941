SELECT id_customer, CAST(SUM(total_paid_tax_incl) * 100 AS SIGNED), COUNT(*) FROM ps_orders
WHERE date_add LIKE '2026-11-22 %' AND valid = 1 GROUP BY id_customer ORDER BY id_customer
