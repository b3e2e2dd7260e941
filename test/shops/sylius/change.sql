UPDATE sylius_order SET state = 'fulfilled' WHERE state = 'new' AND id % 2 = 0;
