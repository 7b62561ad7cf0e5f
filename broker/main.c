// netqueue-broker: reads its options and hands over.
#include <stdio.h>

#include "app.h"
#include "log.h"
#include "process.h"

static int run(const struct config *config)
{
    switch (config->action) {
    case CONFIG_HELP:
        config_print_help(stdout);
        return 0;
    case CONFIG_VERSION:
        printf("netqueue-broker %s\n", NQ_VERSION);
        return 0;
    case CONFIG_PRINT:
        config_print(config, stdout);
        return 0;
    case CONFIG_CHECK:
        return app_check(config);
    case CONFIG_COMPACT:
        return app_compact(config);
    case CONFIG_RUN:
        break;
    }
    return app_run(config);
}

int main(int argc, char *argv[])
{
    struct config config;
    struct config_error error;
    process_keep_standard_streams();
    log_start(LOG_INFO);
    enum nq_status status = config_load(&config, argc, argv, &error);
    if (status != NQ_OK) {
        log_error("%s", error.text);
        return config_exit_code(status);
    }
    log_start((enum log_level)config.log_level);
    int code = run(&config);
    config_fini(&config);
    if (fflush(stdout) != 0) {
        log_error("cannot write to stdout");
        return nq_status_exit_code(NQ_STORAGE_FAILED);
    }
    return code;
}
