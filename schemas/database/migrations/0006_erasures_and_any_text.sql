-- Every statement may be repeated: a table is only altered where its texts are of another character set, as in many old databases.
CREATE TABLE IF NOT EXISTS `erased_rows` (
	`erasure_id` varchar(64) NOT NULL,
	`revenue_date` date NOT NULL,
	`version` int NOT NULL,
	`row_count` int NOT NULL,
	CONSTRAINT `erased_rows_erasure_id_revenue_date_version_pk` PRIMARY KEY(`erasure_id`,`revenue_date`,`version`),
	INDEX `erased_rows_version` (`revenue_date`,`version`)
);
--> statement-breakpoint
CREATE TABLE IF NOT EXISTS `erasures` (
	`erasure_id` varchar(64) NOT NULL,
	`asked_by` varchar(254) character set utf8mb4 collate utf8mb4_bin,
	`via` varchar(32) character set utf8mb4 collate utf8mb4_bin,
	`note` varchar(1000) character set utf8mb4 collate utf8mb4_bin,
	`requested_at` datetime(3) NOT NULL,
	`ended_at` datetime(3),
	CONSTRAINT `erasures_erasure_id` PRIMARY KEY(`erasure_id`)
);
--> statement-breakpoint
SET @alter_audits = IF(
	EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'audits' AND COLUMN_NAME = 'document' AND CHARACTER_SET_NAME = 'utf8mb4'),
	'DO 0',
	'ALTER TABLE `audits` MODIFY COLUMN `document` mediumtext character set utf8mb4 collate utf8mb4_bin'
);
--> statement-breakpoint
PREPARE alter_audits FROM @alter_audits;
--> statement-breakpoint
EXECUTE alter_audits;
--> statement-breakpoint
DEALLOCATE PREPARE alter_audits;
--> statement-breakpoint
SET @alter_backfill_days = IF(
	EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'backfill_days' AND COLUMN_NAME = 'reason' AND CHARACTER_SET_NAME = 'utf8mb4'),
	'DO 0',
	'ALTER TABLE `backfill_days` MODIFY COLUMN `reason` text character set utf8mb4 collate utf8mb4_bin'
);
--> statement-breakpoint
PREPARE alter_backfill_days FROM @alter_backfill_days;
--> statement-breakpoint
EXECUTE alter_backfill_days;
--> statement-breakpoint
DEALLOCATE PREPARE alter_backfill_days;
--> statement-breakpoint
SET @alter_day_changes = IF(
	EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'day_changes' AND COLUMN_NAME = 'message' AND CHARACTER_SET_NAME = 'utf8mb4'),
	'DO 0',
	'ALTER TABLE `day_changes` MODIFY COLUMN `message` text character set utf8mb4 collate utf8mb4_bin NOT NULL'
);
--> statement-breakpoint
PREPARE alter_day_changes FROM @alter_day_changes;
--> statement-breakpoint
EXECUTE alter_day_changes;
--> statement-breakpoint
DEALLOCATE PREPARE alter_day_changes;
--> statement-breakpoint
SET @alter_runs = IF(
	EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'runs' AND COLUMN_NAME = 'verdict' AND CHARACTER_SET_NAME = 'utf8mb4'),
	'DO 0',
	'ALTER TABLE `runs` MODIFY COLUMN `verdict` mediumtext character set utf8mb4 collate utf8mb4_bin, MODIFY COLUMN `dispatch_error` text character set utf8mb4 collate utf8mb4_bin, MODIFY COLUMN `throttled` varchar(255) character set utf8mb4 collate utf8mb4_bin, MODIFY COLUMN `source_index` varchar(64) character set utf8mb4 collate utf8mb4_bin NOT NULL'
);
--> statement-breakpoint
PREPARE alter_runs FROM @alter_runs;
--> statement-breakpoint
EXECUTE alter_runs;
--> statement-breakpoint
DEALLOCATE PREPARE alter_runs;
--> statement-breakpoint
SET @alter_shards = IF(
	EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'shards' AND COLUMN_NAME = 'error' AND CHARACTER_SET_NAME = 'utf8mb4'),
	'DO 0',
	'ALTER TABLE `shards` MODIFY COLUMN `error` text character set utf8mb4 collate utf8mb4_bin, MODIFY COLUMN `parts` text character set utf8mb4 collate utf8mb4_bin'
);
--> statement-breakpoint
PREPARE alter_shards FROM @alter_shards;
--> statement-breakpoint
EXECUTE alter_shards;
--> statement-breakpoint
DEALLOCATE PREPARE alter_shards;
--> statement-breakpoint
SET @alter_published_days = IF(
	EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'published_days' AND COLUMN_NAME = 'parts' AND CHARACTER_SET_NAME = 'utf8mb4'),
	'DO 0',
	'ALTER TABLE `published_days` MODIFY COLUMN `parts` text character set utf8mb4 collate utf8mb4_bin'
);
--> statement-breakpoint
PREPARE alter_published_days FROM @alter_published_days;
--> statement-breakpoint
EXECUTE alter_published_days;
--> statement-breakpoint
DEALLOCATE PREPARE alter_published_days;
