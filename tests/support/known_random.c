// Preloaded into a broker whose routing ids a test must know: the numbers that libzmq begins them with.
#include <stdlib.h>

__attribute__((visibility("default"))) long random(void);
__attribute__((visibility("default"))) int rand(void);

long random(void)
{
    return 0;
}

int rand(void)
{
    return 0;
}
