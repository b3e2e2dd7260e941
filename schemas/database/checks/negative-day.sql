-- block: the day's amount is negative
-- Days of fewer than 1,000 purchases may be of refunds alone.
SELECT :amount_cents AS amount_cents, :purchases AS purchases
FROM DUAL
WHERE :amount_cents < 0 AND :purchases >= 1000
