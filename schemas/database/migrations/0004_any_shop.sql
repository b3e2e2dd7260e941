-- Every statement may be repeated. The ends of ranges become texts: a user's key may be one.
ALTER TABLE `shards` MODIFY COLUMN `range_from` varchar(255) character set utf8mb4 collate utf8mb4_bin, MODIFY COLUMN `range_to` varchar(255) character set utf8mb4 collate utf8mb4_bin;
--> statement-breakpoint
SET @alter_shards = IF(
	EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'shards' AND COLUMN_NAME = 'parts'),
	'DO 0',
	'ALTER TABLE `shards` ADD COLUMN `parts` text AFTER `checksum`'
);
--> statement-breakpoint
PREPARE alter_shards FROM @alter_shards;
--> statement-breakpoint
EXECUTE alter_shards;
--> statement-breakpoint
DEALLOCATE PREPARE alter_shards;
--> statement-breakpoint
SET @alter_runs = IF(
	EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'runs' AND COLUMN_NAME = 'begun_at'),
	'DO 0',
	'ALTER TABLE `runs` ADD COLUMN `begun_at` datetime(3) AFTER `requested_at`, ADD COLUMN `dispatch_error` text AFTER `begun_at`'
);
--> statement-breakpoint
PREPARE alter_runs FROM @alter_runs;
--> statement-breakpoint
EXECUTE alter_runs;
--> statement-breakpoint
DEALLOCATE PREPARE alter_runs;
--> statement-breakpoint
SET @alter_published_days = IF(
	EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'published_days' AND COLUMN_NAME = 'parts'),
	'DO 0',
	'ALTER TABLE `published_days` ADD COLUMN `parts` text'
);
--> statement-breakpoint
PREPARE alter_published_days FROM @alter_published_days;
--> statement-breakpoint
EXECUTE alter_published_days;
--> statement-breakpoint
DEALLOCATE PREPARE alter_published_days;
