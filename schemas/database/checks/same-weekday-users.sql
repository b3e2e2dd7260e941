-- block: the number of users is not between a fifth of and five times the median of the last four same weekdays
-- Days whose median is below 1,000 users vary too much, and a day with fewer than four such weekdays is not judged.
WITH past AS (
  SELECT row_count FROM published_days
  WHERE revenue_date IN (
      :date - INTERVAL 7 DAY, :date - INTERVAL 14 DAY, :date - INTERVAL 21 DAY, :date - INTERVAL 28 DAY)
    AND row_count >= 1000),
ranked AS (SELECT row_count, ROW_NUMBER() OVER (ORDER BY row_count) AS place FROM past),
middle AS (SELECT AVG(row_count) AS median FROM ranked WHERE place IN (2, 3))
SELECT :users AS users, median
FROM middle
WHERE (SELECT COUNT(*) FROM past) = 4 AND (:users < median / 5 OR :users > median * 5)
