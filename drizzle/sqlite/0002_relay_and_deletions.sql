CREATE TABLE `deleted_users` (
	`user_id` text PRIMARY KEY NOT NULL,
	`deleted_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `leases` (
	`name` text PRIMARY KEY NOT NULL,
	`holder` text NOT NULL,
	`held_until` integer NOT NULL
);
--> statement-breakpoint
DROP INDEX `outbox_pending`;--> statement-breakpoint
CREATE INDEX `outbox_sent` ON `outbox` (`published_at`) WHERE published_at is not null;--> statement-breakpoint
CREATE INDEX `outbox_pending` ON `outbox` (`type`,`sequence`) WHERE published_at is null;