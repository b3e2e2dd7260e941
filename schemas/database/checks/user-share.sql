-- warn: one user has more than half of the day's amount
-- The largest amount is known from the verification: rows are only looked for where there is such a user.
SELECT user_id, amount_cents, :amount_cents AS of_amount_cents
FROM revenue_versions
WHERE revenue_date = :date AND version = :version AND :purchases >= 1000 AND :largest_amount_cents > :amount_cents / 2
  AND amount_cents = :largest_amount_cents
LIMIT 1
