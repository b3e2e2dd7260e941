UPDATE invoice_items SET type = 'CBA_ADJ' WHERE record_id % 40 = 7;
