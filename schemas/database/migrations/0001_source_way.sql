-- A column is not added twice: what MariaDB says in one statement (ADD COLUMN IF NOT EXISTS) takes MySQL three.
SET @add_source_way = IF(
	EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'runs' AND COLUMN_NAME = 'source_way'),
	'DO 0',
	'ALTER TABLE `runs` ADD COLUMN `source_way` varchar(16) NOT NULL DEFAULT ''day-slice'' AFTER `source_index`'
);
--> statement-breakpoint
PREPARE add_source_way FROM @add_source_way;
--> statement-breakpoint
EXECUTE add_source_way;
--> statement-breakpoint
DEALLOCATE PREPARE add_source_way;
