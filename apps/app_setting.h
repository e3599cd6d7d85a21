/* SPDX-License-Identifier: Apache-2.0 */
/* app_setting - options from configuration files and the environment.
 *
 * An option that is a setting is set by, in this order, the later winning:
 *
 *     /etc/lasthop/client.conf      name = value
 *     ~/.config/lasthop/config      the same ($XDG_CONFIG_HOME instead of
 *                                   ~/.config)
 *     LASTHOP_NAME                  in capitals, with '_' for '-'
 *
 * and then by the command line.  LASTHOP_CONFIG names a file that is read
 * instead of both.  Blank lines and those that begin with '#' are passed over;
 * blanks around name and value do not count.
 *
 * Threads: one; reads the environment. */
#ifndef APPS_APP_SETTING_H
#define APPS_APP_SETTING_H 1

#include "apps/app_option.h"
#include "lib/lh_error.h"

/* Applies all settings of 'tables', which ends in NULL.  A file that is not
 * there is no error, and one that cannot be opened is only worth '*warning'
 * (else ""), but for that of LASTHOP_CONFIG.  0, or a positive errno with a
 * reason that names file and line, or variable. */
int app_setting_apply(const struct app_option *const *tables,
                      struct lh_error *warning, struct lh_error *);
/* Frees what values point to. */
void app_setting_forget(void);

/* The variable of the option 'name', for free(). */
char *app_setting_variable(const char *name);

#endif /* apps/app_setting.h */
