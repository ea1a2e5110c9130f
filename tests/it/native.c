/* A native module of Lua: one function that squares. */
#include <stddef.h>

typedef struct lua_State lua_State;
typedef int (*lua_CFunction)(lua_State *);
typedef struct luaL_Reg {
    const char *name;
    lua_CFunction func;
} luaL_Reg;

extern double luaL_checknumber(lua_State *, int);
extern void lua_pushnumber(lua_State *, double);
extern void lua_createtable(lua_State *, int, int);
extern void luaL_setfuncs(lua_State *, const luaL_Reg *, int);

static int square(lua_State *state) {
    double number = luaL_checknumber(state, 1);
    lua_pushnumber(state, number * number);
    return 1;
}

static const luaL_Reg functions[] = {{"square", square}, {NULL, NULL}};

int luaopen_power(lua_State *state) {
    lua_createtable(state, 0, 1);
    luaL_setfuncs(state, functions, 0);
    return 1;
}
