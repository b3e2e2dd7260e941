-- block: the amount is not between a fifth of and five times the median of the last four same weekdays
-- Days whose median is below 1,000 purchases vary too much, and a day with fewer than four such weekdays is not judged.
WITH past AS (
  SELECT amount_cents, purchases FROM published_days
  WHERE revenue_date IN (
      :date - INTERVAL 7 DAY, :date - INTERVAL 14 DAY, :date - INTERVAL 21 DAY, :date - INTERVAL 28 DAY)
    AND amount_cents IS NOT NULL AND purchases >= 1000),
ranked AS (SELECT amount_cents, ROW_NUMBER() OVER (ORDER BY amount_cents) AS place FROM past),
middle AS (SELECT AVG(amount_cents) AS median FROM ranked WHERE place IN (2, 3))
SELECT :amount_cents AS amount_cents, median
FROM middle
WHERE (SELECT COUNT(*) FROM past) = 4 AND :amount_cents IS NOT NULL
  AND (:amount_cents < median / 5 OR :amount_cents > median * 5)
