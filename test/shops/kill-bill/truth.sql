SELECT account_id, currency, CAST(SUM(amount) * 100 AS SIGNED), COUNT(*) FROM invoice_items
WHERE DATE(created_date) = '2026-11-22' AND type <> 'CBA_ADJ'
GROUP BY account_id, currency ORDER BY account_id, currency COLLATE utf8mb3_bin
