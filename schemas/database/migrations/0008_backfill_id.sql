-- Both statements may be repeated. Until now a backfill's run was known by its cause alone.
SET @add_backfill_id = IF(
	EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'runs' AND COLUMN_NAME = 'backfill_id'),
	'DO 0',
	'ALTER TABLE `runs` ADD COLUMN `backfill_id` varchar(64) AFTER `cause`'
);
--> statement-breakpoint
PREPARE add_backfill_id FROM @add_backfill_id;
--> statement-breakpoint
EXECUTE add_backfill_id;
--> statement-breakpoint
DEALLOCATE PREPARE add_backfill_id;
--> statement-breakpoint
UPDATE `runs` SET `backfill_id` = SUBSTRING_INDEX(`cause`, ' backfill ', -1) WHERE `cause` LIKE '____-__-__ backfill %' AND `backfill_id` IS NULL AND CHAR_LENGTH(`cause`) <= 84;
