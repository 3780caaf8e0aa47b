CREATE TABLE `outbox` (
	`sequence` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`type` text NOT NULL,
	`subject` text NOT NULL,
	`payload` text NOT NULL,
	`created_at` integer NOT NULL,
	`published_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `outbox_id_unique` ON `outbox` (`id`);--> statement-breakpoint
CREATE INDEX `outbox_pending` ON `outbox` (`sequence`) WHERE published_at is null;--> statement-breakpoint
CREATE TABLE `tools` (
	`id` text PRIMARY KEY NOT NULL,
	`owner_id` text,
	`name` text NOT NULL,
	`tool_type` text NOT NULL,
	`builtin` text,
	`pointer` text,
	`revision` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`secrets` text,
	`description` text NOT NULL,
	`definition` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `tools_builtin_unique` ON `tools` (`builtin`);--> statement-breakpoint
CREATE UNIQUE INDEX `tools_owner_name` ON `tools` (`owner_id`,`name`);--> statement-breakpoint
CREATE UNIQUE INDEX `tools_system_name` ON `tools` (`name`) WHERE owner_id is null;--> statement-breakpoint
CREATE INDEX `tools_name` ON `tools` (`name`);