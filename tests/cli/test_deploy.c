/* The configurations of deploy/, by the programs they are for. */
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"

static void succeeds(const char *folder, const char *command) {
    check_output o = check_command("D='%s'; export D; %s", folder, command);
    CHECK(o.status == 0, "%s: %d\n%s%s", command, o.status, o.out, o.err);
    check_output_free(&o);
}

/* What happens to the copy: a program that is there instead of ours. */
#define COPY_UNITS \
    "cp deploy/fathom.socket \"$D\" && sed 's,/usr/local/bin/fathom,/bin/true,' deploy/fathom.service >\"$D/fathom.service\" && "

static void systemd_takes_the_units_without_a_word(void *arg) {
    (void)arg;
    check_needs("systemd-analyze");
    char *folder = check_folder();
    succeeds(folder,
             COPY_UNITS "out=$(systemd-analyze verify --man=no \"$D/fathom.service\" \"$D/fathom.socket\" 2>&1) && "
                        "{ echo \"$out\"; ! echo \"$out\" | grep -q 'fathom\\.'; }");
    check_folder_remove(folder);
}

/* systemd's measure of what a unit exposes, 0 to 100 here; a unit without sandbox has 96 */
static void the_service_exposes_next_to_nothing(void *arg) {
    (void)arg;
    check_needs("systemd-analyze");
    check_output o = check_command("systemd-analyze --version | sed -n '1s/^systemd \\([0-9]*\\).*/\\1/p'");
    int version = atoi(o.out);
    check_output_free(&o);
    if (version < 250) check_skip("systemd %d measures running units only", version);
    char *folder = check_folder();
    succeeds(folder,
             COPY_UNITS "systemd-analyze security --no-pager --offline=true --threshold=10 \"$D/fathom.service\"");
    check_folder_remove(folder);
}

static void nginx_takes_its_part(void *arg) {
    (void)arg;
    check_needs("nginx");
    check_needs("openssl");
    char *folder = check_folder();
    succeeds(
        folder,
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=fathom "
        "-keyout \"$D/privkey.pem\" -out \"$D/fullchain.pem\" 2>\"$D/openssl.log\" && "
        "sed \"s,/etc/letsencrypt/live/fathom.example.org,$D,; s,/var/log/nginx,$D,; /::/d; s,listen *443,listen unix:$D/socket,\" deploy/nginx.conf >\"$D/fathom.conf\" && "

        "printf 'pid %s/pid; error_log %s/error.log; events {} http { include %s/fathom.conf; }' \"$D\" \"$D\" \"$D\" "
        ">\"$D/nginx.conf\" && nginx -t -q -e \"$D/error.log\" -c \"$D/nginx.conf\"");
    check_folder_remove(folder);
}

static void haproxy_takes_its_part(void *arg) {
    (void)arg;
    check_needs("haproxy");
    check_needs("openssl");
    char *folder = check_folder();
    succeeds(
        folder,
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=fathom "
        "-keyout \"$D/key.pem\" -out \"$D/cert.pem\" 2>\"$D/openssl.log\" && cat \"$D/cert.pem\" \"$D/key.pem\" >\"$D/fathom.pem\" && "
        "sed \"s,/etc/haproxy,$D,\" deploy/haproxy.cfg >\"$D/haproxy.cfg\" && haproxy -c -q -f \"$D/haproxy.cfg\"");
    check_folder_remove(folder);
}

static void prometheus_takes_its_part(void *arg) {
    (void)arg;
    check_needs("promtool");
    char *folder = check_folder();
    succeeds(folder, "cp deploy/alerts.yml \"$D\" && touch \"$D/fathom.key\" && "
                     "sed \"s,/etc/prometheus,$D,\" deploy/prometheus.yml >\"$D/prometheus.yml\" && "
                     "promtool check config \"$D/prometheus.yml\"");
    check_folder_remove(folder);
}

static void the_dashboard_is_json_with_a_query_in_every_panel(void *arg) {
    (void)arg;
    fa_error e;
    json_t *root;
    CHECK_OK(fa_json_load(&root, "deploy/grafana.json", &e), &e);
    const json_t *panels = json_object_get(root, "panels");
    CHECK(json_array_size(panels) > 3);
    for (size_t i = 0; i < json_array_size(panels); i++) {
        const json_t *target = json_array_get(json_object_get(json_array_get(panels, i), "targets"), 0);
        const char *query = json_string_value(json_object_get(target, "expr"));
        CHECK(query && strstr(query, "fathom_"), "panel %zu", i);
    }
    json_decref(root);
}

static const check_case cases[] = {
    {"systemd takes the units without a word", systemd_takes_the_units_without_a_word, NULL},
    {"the service exposes next to nothing", the_service_exposes_next_to_nothing, NULL},
    {"nginx takes its part", nginx_takes_its_part, NULL},
    {"HAProxy takes its part", haproxy_takes_its_part, NULL},
    {"Prometheus takes its part", prometheus_takes_its_part, NULL},
    {"the dashboard is JSON with a query in every panel", the_dashboard_is_json_with_a_query_in_every_panel, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
