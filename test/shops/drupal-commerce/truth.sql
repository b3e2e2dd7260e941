SELECT uid, CAST(SUM(total_price__number) * 100 AS SIGNED), COUNT(*) FROM commerce_order
WHERE placed >= 1795285800 AND placed < 1795372200 AND state = 'completed'
  AND total_price__currency_code = 'EUR' AND uid <> 0
GROUP BY uid ORDER BY uid
