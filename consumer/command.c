#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "environment.h"

// A group of its own: an interrupt typed at the terminal is for us; we decide when a command has to end.
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none;
    sigset_t plain;
    sigemptyset(&none);
    sigemptyset(&plain);
    sigaddset(&plain, SIGINT);
    sigaddset(&plain, SIGTERM);
    sigaddset(&plain, SIGPIPE);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &plain);
    posix_spawnattr_setpgroup(attributes, 0);
    return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
}

static int spawn(struct command *command, char *const *arguments, int stdin_fd)
{
    struct environment environment;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    int error = ENOMEM;
    if (environment_init(&environment, command->item)) {
        error = posix_spawn_file_actions_adddup2(&actions, stdin_fd, STDIN_FILENO);
        error = error != 0 ? error : set_attributes(&attributes);
        error = error != 0 ? error : posix_spawnp(&command->pid, arguments[0], &actions, &attributes, arguments, environment.texts);
    }
    environment_fini(&environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

int command_start(struct command *command, char *const *arguments, struct nq_item *item)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return errno;
    }
    *command = (struct command){.item = item, .exit_fd = -1, .body_fd = ends[1], .source = command->source};
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    int error = spawn(command, arguments, ends[0]);
    close(ends[0]);
    if (error == 0) {
        command->exit_fd = pidfd_open(command->pid, 0);
        error = command->exit_fd < 0 ? errno : 0;
    }
    if (error == 0) {
        command_feed(command);
        return 0;
    }
    close(ends[1]);
    if (command->pid > 0) {
        command_kill(command, SIGKILL);
        waitpid(command->pid, NULL, 0);
    }
    *command = (struct command){.exit_fd = -1, .body_fd = -1, .source = command->source};
    return error;
}

static void close_body(struct command *command)
{
    if (command->body_fd >= 0) {
        close(command->body_fd);
        command->body_fd = -1;
    }
}

// A command need not read its input: a closed pipe is no failure, its exit code tells.
void command_feed(struct command *command)
{
    if (command->body_fd < 0 || command->item == NULL) {
        close_body(command);
        return;
    }
    const char *body = nq_item_body(command->item);
    size_t len = nq_item_len(command->item);
    while (command->written < len) {
        ssize_t count = write(command->body_fd, body + command->written, len - command->written);
        if (count < 0) {
            if (errno == EAGAIN || errno == EINTR) {
                return;
            }
            break;
        }
        command->written += (size_t)count;
    }
    close_body(command);
}

int command_reap(struct command *command)
{
    int status = SIGKILL; // when it cannot be known, it is not taken for well done
    while (waitpid(command->pid, &status, 0) < 0 && errno == EINTR) {
    }
    close(command->exit_fd);
    close_body(command);
    command->exit_fd = -1;
    command->pid = 0;
    return status;
}

void command_kill(const struct command *command, int signal)
{
    if (command->pid > 0 && kill(-command->pid, signal) != 0) {
        kill(command->pid, signal); // it has left its group
    }
}
