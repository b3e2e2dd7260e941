UPDATE stripe_charges SET amount_refunded = amount WHERE created % 77 = 0;
UPDATE stripe_charges SET currency = 'gbp' WHERE created % 5 = 0 AND currency = 'jpy';
