import { customType } from "drizzle-orm/mysql-core"

/*
 * What people write, and what may name users as a shop does: any text, whatever character set the database has by default.
 * Many an old shop's is latin1, in which a verdict that names somebody could not be kept.
 */

const utf8mb4 = "character set utf8mb4 collate utf8mb4_bin"

export const words = customType<{ data: string; config: { length: number } }>({
  dataType: (config) => `varchar(${config?.length}) ${utf8mb4}`,
})

export const text = customType<{ data: string }>({ dataType: () => `text ${utf8mb4}` })

export const mediumtext = customType<{ data: string }>({ dataType: () => `mediumtext ${utf8mb4}` })
